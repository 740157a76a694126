/* Drives a study from C: starts `optdriver stdio STUDY.db` and talks JSON with it, a line a message.
 *
 *     cc -o client client.c && ./client film.db
 *
 * The study has two parameters and jac = true; the function is the simulator's place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *to, *from;
static char line[1 << 20];

static double simulate(const double *x, double *gradient)
{
    double a = x[1] - x[0] * x[0], b = 1 - x[0];
    gradient[0] = -40 * a * x[0] - 2 * b;
    gradient[1] = 20 * a;
    return 10 * a * a + b * b;
}

static void start(const char *study)
{
    int in[2], out[2];
    if (pipe(in) || pipe(out)) { perror("pipe"); exit(1); }
    if (fork() == 0) {
        dup2(in[0], 0); dup2(out[1], 1);
        close(in[1]); close(out[0]);
        execlp("optdriver", "optdriver", "stdio", study, (char *)NULL);
        perror("optdriver"); _exit(127);
    }
    close(in[0]); close(out[1]);
    to = fdopen(in[1], "w");
    from = fdopen(out[0], "r");
}

static char *answer(void)           /* to the request that was just written to `to` */
{
    fflush(to);
    if (!fgets(line, sizeof line, from)) { fprintf(stderr, "optdriver has ended\n"); exit(1); }
    if (strstr(line, "\"error\"")) { fprintf(stderr, "%s", line); exit(1); }
    return line;
}

int main(int argc, char **argv)
{
    double x[2], gradient[2];
    char *at;
    start(argc > 1 ? argv[1] : "film.db");
    for (;;) {
        fprintf(to, "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ask\"}\n");
        if (!(at = strstr(answer(), "\"suggestions\": [{\"id\": "))) break;
        long id = strtol(at + 23, NULL, 10);
        at = strstr(at, "\"vector\": [") + 11;
        x[0] = strtod(at, &at);
        x[1] = strtod(at + 1, NULL);
        double value = simulate(x, gradient);
        fprintf(to, "{\"jsonrpc\": \"2.0\", \"id\": 2, \"method\": \"tell\", \"params\": {\"id\": %ld, "
                "\"value\": %.17g, \"gradient\": [%.17g, %.17g]}}\n", id, value, gradient[0], gradient[1]);
        answer();
    }
    fprintf(to, "{\"jsonrpc\": \"2.0\", \"id\": 3, \"method\": \"best\"}\n");
    fputs(answer(), stdout);
    return 0;
}
