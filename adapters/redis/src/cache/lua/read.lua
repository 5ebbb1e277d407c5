-- KEYS[1]: a bucket. ARGV: the call, then SKUs. Returns the marks, whether the bucket is filled, and
-- the entry of each SKU.
local found = redis.call('HMGET', KEYS[1], ' marks', ' filled', unpack(ARGV, 2))
local time
for i = 3, #found do
    local ends = found[i] and string.match(found[i], '^absent (%d+)')
    if ends then
        time = time or now()
        found[i] = tonumber(ends) > time and 'absent'
    end
end
found[#found + 1] = ARGV[1]
return found
