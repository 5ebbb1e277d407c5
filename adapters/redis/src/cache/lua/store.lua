-- KEYS[1]: a bucket. Its fields are SKUs, each with `<version> <units>` or `absent <until>`. Fields that
-- begin with a space are the bucket's own state; no SKU begins like that. Versions and offsets are
-- digits of one width each, because Lua's numbers are exact up to 2^53 only, and compare as texts.
--
-- ARGV: the call, the number of entries, for each a SKU, a version and units; then what is behind.
local bucket = KEYS[1]
local behind = 3 + 3 * ARGV[2]

-- Stores each entry that is newer than the one that is there. Returns for each '+' (stored), '=' (not
-- newer), or the version that is there, of a newer epoch.
local function store()
    local outcomes, skus = {}, {}
    for i = 3, behind - 1, 3 do
        skus[#skus + 1] = ARGV[i]
    end
    if #skus == 0 then
        return outcomes
    end
    local kept = redis.call('HMGET', bucket, unpack(skus))
    local new, absences = {}, 0
    for n, sku in ipairs(skus) do
        local version, units = ARGV[3 * n + 1], ARGV[3 * n + 2]
        local there = new[sku] or kept[n]
        local absent = there and string.sub(there, 1, 6) == 'absent'
        local cached = there and not absent and string.sub(there, 1, 31)
        if not cached or cached < version then
            absences = absences + (absent and 1 or 0)
            new[sku] = version .. ' ' .. units
            outcomes[n] = '+'
        elseif string.sub(version, 1, 10) < string.sub(cached, 1, 10) then
            outcomes[n] = cached
        else
            outcomes[n] = '='
        end
    end
    local fields = {}
    for sku, value in pairs(new) do
        fields[#fields + 1] = sku
        fields[#fields + 1] = value
    end
    if #fields > 0 then
        redis.call('HSET', bucket, unpack(fields))
    end
    if absences > 0 then
        redis.call('HINCRBY', bucket, ' absences', -absences)
    end
    return outcomes
end
