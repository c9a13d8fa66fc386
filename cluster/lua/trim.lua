-- KEYS record, log, coverage. ARGV node, epoch, number of copies.
-- OK e n s trimmed, FENCED e n s
local o = redis.call('HMGET', KEYS[1], 'e', 'n', 's', 't')
local e, n, s = o[1] or '0', o[2] or '', o[3] or '0'
if n == '' or n ~= ARGV[1] or e ~= ARGV[2] then return {'FENCED', e, n, s} end
local ids = {}
for i, v in ipairs(redis.call('HGETALL', KEYS[3])) do
  if i % 2 == 0 then
    local epoch, seq = string.match(v, '^(%d+)-(%d+)$')
    ids[#ids + 1] = {tonumber(epoch), tonumber(seq)}
  end
end
local function after(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end
table.sort(ids, after)
local floor, trimmed = ids[tonumber(ARGV[3])], o[4] or ''
if floor then
  local epoch, seq = string.match(trimmed, '^(%d+)-(%d+)$')
  if not epoch or after(floor, {tonumber(epoch), tonumber(seq)}) then
    trimmed = text(floor[1]) .. '-' .. text(floor[2])
    redis.call('XTRIM', KEYS[2], 'MINID', text(floor[1]) .. '-' .. text(floor[2] + 1))
    redis.call('HSET', KEYS[1], 't', trimmed)
  end
end
return {'OK', e, n, s, trimmed}
