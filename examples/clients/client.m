% Drives a study from Octave: starts `optdriver stdio STUDY.db` and talks JSON with it, a line a
% message.
%
%     octave-cli client.m film.db
%
% The study has two parameters and jac = true; the function is the simulator's place.
1;

function [f, gradient] = simulate (x)
  a = x(2) - x(1)^2;
  b = 1 - x(1);
  f = 10 * a^2 + b^2;
  gradient = [-40 * a * x(1) - 2 * b, 20 * a];
end

function result = request (to, from, method, params)
  % numbers with 17 digits, so that they keep their bits; jsonencode writes 15
  fprintf (to, '{"jsonrpc": "2.0", "id": 1, "method": "%s", "params": {%s}}\n', method, params);
  fflush (to);
  line = "";
  while (isempty (line) || line(end) != "\n")
    part = fgets (from);
    if (ischar (part))
      line = [line, part];
    else
      fclear (from);  % nothing has come yet: the pipe does not wait
      pause (0.001);
    end
  end
  answer = jsondecode (line);
  if (isfield (answer, "error"))
    error ("optdriver: %s", answer.error.message);
  end
  result = answer.result;
end

study = "film.db";
if (numel (argv ()) > 0)
  study = argv (){end};
end
[to, from] = popen2 ("optdriver", {"stdio", study});
while (true)
  asked = request (to, from, "ask", "");
  if (isempty (asked.suggestions))
    break;
  end
  [f, gradient] = simulate (asked.suggestions(1).vector);
  params = sprintf ('"id": %d, "value": %.17g, "gradient": [%.17g, %.17g]', ...
                    asked.suggestions(1).id, f, gradient);
  request (to, from, "tell", params);
end
disp (jsonencode (request (to, from, "best", "").best));
fclose (to);
fclose (from);
