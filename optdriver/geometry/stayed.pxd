# Nothing here is called by other pages of the kernel.
