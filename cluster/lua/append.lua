-- KEYS record, log. ARGV node, epoch, seq that the node believes to be the last, run id of the claim for the first append
-- of an epoch and empty for the others, then kind and bytes of each entry.
-- OK e n s, FENCED e n s, GAP e n s, RESTARTED e n s
local o = redis.call('HMGET', KEYS[1], 'e', 'n', 's', 'b')
local no = refused(o, ARGV[1], ARGV[2], ARGV[3])
if no then return no end
if ARGV[4] ~= '' then
  local run = run_id()
  if run ~= ARGV[4] then return {'RESTARTED', o[1], o[2], o[3]} end
end
local seq = tonumber(o[3])
for i = 5, #ARGV, 2 do
  seq = seq + 1
  redis.call('XADD', KEYS[2], o[1] .. '-' .. text(seq), ARGV[i], ARGV[i + 1])
end
local last = text(seq)
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 's', last, 've', o[1], 'vn', o[2], 'vb', o[4] or '', 'vr', ARGV[4])
elseif last ~= o[3] then
  redis.call('HSET', KEYS[1], 's', last)
end
return {'OK', o[1], o[2], last}
