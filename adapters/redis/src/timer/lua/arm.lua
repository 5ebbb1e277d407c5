-- KEYS[1]: deadlines by id. ARGV: the call, then pairs of an id and the milliseconds from now.
local time = now()
for i = 2, #ARGV, 2 do
    redis.call('ZADD', KEYS[1], string.format('%.0f', time + ARGV[i + 1]), ARGV[i])
end
return { ARGV[1] }
