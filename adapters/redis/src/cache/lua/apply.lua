-- Behind the entries, for each advance: a partition, the offset that its records follow ('' where
-- nobody knows), the last offset, and a heartbeat's number of partitions and its epoch and time ('' for
-- none). Returns for each advance '+' where it follows, else the offset that the bucket had reached or
-- ''; and '+', '=' or a newer epoch for its heartbeat, or ''.
local outcomes = store()
local marks, partitions = {}, {}
local text = redis.call('HGET', bucket, ' marks') or ''
for partition, upto, count, time in string.gmatch(text, '(%d+):(%d+):(%d*):([%d.]*)') do
    marks[partition] = { upto, count, time }
    partitions[#partitions + 1] = partition
end
local advanced, gap = {}, false
for i = behind, #ARGV, 5 do
    local partition, after, upto, count, time = unpack(ARGV, i, i + 4)
    local kept = marks[partition]
    if not kept then
        kept = { '', '', '' }
        partitions[#partitions + 1] = partition
    end
    local follows, heard = '+', ''
    if kept[1] ~= '' and after ~= '' and kept[1] >= after then
        upto = kept[1] > upto and kept[1] or upto
    else
        follows, gap = kept[1], true
    end
    if time ~= '' then
        if string.sub(time, 1, 10) < string.sub(kept[3], 1, 10) then
            heard = string.sub(kept[3], 1, 10)
        elseif time <= kept[3] then
            heard = '='
        else
            heard = '+'
        end
    end
    if heard ~= '+' then
        count, time = kept[2], kept[3]
    end
    marks[partition] = { upto, count, time }
    advanced[#advanced + 1] = follows
    advanced[#advanced + 1] = heard
end
if #advanced > 0 then
    for n, partition in ipairs(partitions) do
        partitions[n] = partition .. ':' .. table.concat(marks[partition], ':')
    end
    redis.call('HSET', bucket, ' marks', table.concat(partitions, ' '))
end
if gap then
    redis.call('HDEL', bucket, ' filled', ' fills')
end
return { outcomes, advanced, ARGV[1] }
