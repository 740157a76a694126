! Drives a study from Fortran: `optdriver stdio STUDY.db` runs beside the program, and the two talk
! JSON over two named pipes, a line a message.
!
!     gfortran -o client client.f90 && ./client film.db
!
! The study has two parameters and jac = true; the function is the simulator's place.
program client
  implicit none
  integer, parameter :: dp = kind(1d0)
  character(len=*), parameter :: rpc = '{"jsonrpc": "2.0", "id": 1, "method": '
  character(len=512) :: study, told
  character(len=100000) :: line
  real(dp) :: x(2), gradient(2), f
  integer :: to, from, id

  study = 'film.db'
  if (command_argument_count() > 0) call get_command_argument(1, study)
  call execute_command_line('rm -f to.pipe from.pipe && mkfifo to.pipe from.pipe')
  call execute_command_line('optdriver stdio "'//trim(study)//'" < to.pipe > from.pipe', wait=.false.)
  open (newunit=to, file='to.pipe', action='write', access='stream', form='formatted')
  open (newunit=from, file='from.pipe', action='read', access='stream', form='formatted')
  do
    call request(rpc//'"ask"}')
    if (index(line, '"suggestions": [{') == 0) exit
    read (line(after('"suggestions": [{"id":'):), *) id
    read (line(after('"vector": ['):index(line, '], "kind"') - 1), *) x
    call simulate(x, f, gradient)
    write (told, '(a, i0, 3(a, es24.16e3), a)') rpc//'"tell", "params": {"id": ', id, &
      ', "value": ', f, ', "gradient": [', gradient(1), ', ', gradient(2), ']}}'
    call request(trim(told))
  end do
  call request(rpc//'"best"}')
  print '(a)', trim(line)
  close (to)
  close (from)
  call execute_command_line('rm -f to.pipe from.pipe')

contains

  subroutine request(message)
    character(len=*), intent(in) :: message
    integer :: status
    write (to, '(a)') message
    flush (to)
    read (from, '(a)', iostat=status) line
    if (status /= 0) stop 'optdriver has ended'
    if (index(line, '"error"') > 0) then
      print '(a)', trim(line)
      stop 1
    end if
  end subroutine

  integer function after(text)
    character(len=*), intent(in) :: text
    after = index(line, text) + len(text)
  end function

  subroutine simulate(x, f, gradient)
    real(dp), intent(in) :: x(2)
    real(dp), intent(out) :: f, gradient(2)
    real(dp) :: a, b
    a = x(2) - x(1)**2
    b = 1 - x(1)
    f = 10*a**2 + b**2
    gradient = [-40*a*x(1) - 2*b, 20*a]
  end subroutine

end program
