-- KEYS[1]: a bucket. ARGV: the call, how many milliseconds absences are remembered, how many of them
-- are kept at most, and SKUs.
local bucket, time = KEYS[1], now()
local skus = { unpack(ARGV, 4) }
local kept = redis.call('HMGET', bucket, unpack(skus))
local ends = string.format('absent %.0f', time + ARGV[2])
local fields, written, new = {}, {}, 0
for n, sku in ipairs(skus) do
    local absent = kept[n] and string.sub(kept[n], 1, 6) == 'absent'
    if not written[sku] and (absent or not kept[n]) then
        new = new + (absent and 0 or 1)
        written[sku] = true
        fields[#fields + 1] = sku
        fields[#fields + 1] = ends
    end
end
if #fields > 0 then
    redis.call('HSET', bucket, unpack(fields))
end
local absences = redis.call('HINCRBY', bucket, ' absences', new)

-- Fields have no time to live, so each call looks at some more than it has written. An absence that
-- has ended goes, and any other where there are too many.
local cursor = redis.call('HGET', bucket, ' cursor') or '0'
local scanned = redis.call('HSCAN', bucket, cursor, 'COUNT', 20 + 10 * #skus)
local ended = {}
for i = 1, #scanned[2], 2 do
    local sku, value = scanned[2][i], scanned[2][i + 1]
    local last = string.match(value, '^absent (%d+)')
    local too_many = absences - #ended > tonumber(ARGV[3])
    if last and not written[sku] and (too_many or tonumber(last) <= time) then
        ended[#ended + 1] = sku
    end
end
-- A small hash is scanned whole, so this may be more than a call takes.
for first = 1, #ended, 1000 do
    redis.call('HDEL', bucket, unpack(ended, first, math.min(first + 999, #ended)))
end
redis.call('HINCRBY', bucket, ' absences', 0 - #ended)
redis.call('HSET', bucket, ' cursor', scanned[1])
return { ARGV[1] }
