-- KEYS[1]: a bucket. ARGV: the call, a fill, and how many fills are kept at most.
local fills, count = redis.call('HGET', KEYS[1], ' fills') or '', 0
for _ in string.gmatch(fills, '%S+ %d+') do
    count = count + 1
end
fills = count < tonumber(ARGV[3]) and fills .. ' ' or ''
redis.call('HSET', KEYS[1], ' fills', fills .. ARGV[2] .. ' 0')
return { ARGV[1] }
