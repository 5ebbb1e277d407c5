-- KEYS[1]: a bucket. ARGV: the call, a fill, and how many pages it has written. Returns whether the
-- bucket is filled after that.
local fills = redis.call('HGET', KEYS[1], ' fills') or ''
for fill, pages in string.gmatch(fills, '(%S+) (%d+)') do
    if fill == ARGV[2] and pages == ARGV[3] then
        redis.call('HSET', KEYS[1], ' filled', 1)
        redis.call('HDEL', KEYS[1], ' fills')
    end
end
return { redis.call('HEXISTS', KEYS[1], ' filled'), ARGV[1] }
