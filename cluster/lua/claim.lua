-- KEYS record, log, coverage. ARGV node, epoch of the record as the claimant knows it, highest epoch it ever saw, highest
-- seq it ever saw, standbys, policy.
-- OK e n s trimmed run | served: epoch node standbys run | node position ...   or   CHANGED e n s
local o = redis.call('HMGET', KEYS[1], 'e', 'n', 's', 't', 've', 'vn', 'vb', 'vr')
local e, n, s = o[1] or '0', o[2] or '', o[3] or '0'
if e ~= ARGV[2] then return {'CHANGED', e, n, s} end
local epoch = text(math.max(tonumber(e) + 1, tonumber(ARGV[3]) + 1, now()))
local seq = text(math.max(tonumber(s), tonumber(ARGV[4])) + 1)
redis.call('XADD', KEYS[2], epoch .. '-' .. seq, 'b', ARGV[1])
redis.call('HSET', KEYS[1], 'e', epoch, 'n', ARGV[1], 's', seq, 'b', ARGV[5], 'p', ARGV[6])
local answer = {'OK', epoch, ARGV[1], seq, o[4] or '', run_id(), o[5] or '0', o[6] or '', o[7] or '', o[8] or ''}
for _, v in ipairs(redis.call('HGETALL', KEYS[3])) do answer[#answer + 1] = v end
return answer
