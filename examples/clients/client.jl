# Drives a study from Julia: starts `optdriver stdio STUDY.db` and talks JSON with it, a line a
# message.  Needs no package.
#
#     julia client.jl film.db
#
# The study has two parameters and jac = true; the function is the simulator's place.

function simulate(x)
    a, b = x[2] - x[1]^2, 1 - x[1]
    10 * a^2 + b^2, [-40 * a * x[1] - 2 * b, 20 * a]
end

const SUGGESTION = r"\"suggestions\": \[\{\"id\": (\d+), .*?\"vector\": \[(.*?)\]"

function request(server, method, params)
    println(server, """{"jsonrpc": "2.0", "id": 1, "method": "$method", "params": {$params}}""")
    flush(server)
    answer = readline(server)
    occursin("\"error\":", answer) && error(answer)
    answer
end

study = isempty(ARGS) ? "film.db" : ARGS[1]
open(`optdriver stdio $study`, "r+") do server
    while true
        asked = match(SUGGESTION, request(server, "ask", ""))
        asked === nothing && break
        id, x = asked[1], parse.(Float64, split(asked[2], ", "))
        f, gradient = simulate(x)
        # numbers are printed as the shortest decimals that give the same bits
        request(server, "tell", "\"id\": $id, \"value\": $f, \"gradient\": $gradient")
    end
    println(request(server, "best", ""))
end
