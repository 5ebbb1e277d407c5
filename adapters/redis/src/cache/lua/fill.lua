-- Behind the entries: a fill, how many pages it has written, and that number plus 1. Returns whether
-- the fill is under way.
local outcomes = store()
local id, step, next = unpack(ARGV, behind)
local fills, under_way = {}, 0
local text = redis.call('HGET', bucket, ' fills') or ''
for fill, pages in string.gmatch(text, '(%S+) (%d+)') do
    -- The next page, or the last one once more.
    if fill == id and (pages == step or pages == next) then
        pages, under_way = next, 1
    end
    fills[#fills + 1] = fill .. ' ' .. pages
end
if under_way == 1 then
    redis.call('HSET', bucket, ' fills', table.concat(fills, ' '))
end
return { outcomes, under_way, ARGV[1] }
