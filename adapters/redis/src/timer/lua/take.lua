-- KEYS[1]: deadlines by id. ARGV: the call, and how many ids are taken at most.
-- Whoever removes an id acts on it, so nobody else gets it.
local time = now()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time, 'LIMIT', 0, ARGV[2])
if #due > 0 then
    redis.call('ZREM', KEYS[1], unpack(due))
end
-- Milliseconds until the next one.
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return { due, next and math.max(0, next - time) or false, ARGV[1] }
