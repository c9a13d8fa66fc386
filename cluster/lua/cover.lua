-- KEYS coverage. ARGV node, epoch, seq up to which the node has everything on disk.
-- OK epoch seq of what stands there now, which is never lowered
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local e, s = string.match(stored, '^(%d+)-(%d+)$')
  local above = tonumber(e) - tonumber(ARGV[2])
  if above > 0 or (above == 0 and tonumber(s) >= tonumber(ARGV[3])) then return {'OK', e, s} end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '-' .. ARGV[3])
return {'OK', ARGV[2], ARGV[3]}
