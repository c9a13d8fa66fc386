-- KEYS record, log. ARGV node, epoch, last seq, target, highest epoch the target promised to, standbys, policy.
-- OK e n s run, FENCED e n s, GAP e n s
local o = redis.call('HMGET', KEYS[1], 'e', 'n', 's')
local no = refused(o, ARGV[1], ARGV[2], ARGV[3])
if no then return no end
local epoch = text(math.max(tonumber(o[1]) + 1, tonumber(ARGV[5]) + 1, now()))
local seq = text(tonumber(o[3]) + 1)
redis.call('XADD', KEYS[2], epoch .. '-' .. seq, 'b', ARGV[4])
redis.call('HSET', KEYS[1], 'e', epoch, 'n', ARGV[4], 's', seq, 'b', ARGV[6], 'p', ARGV[7])
return {'OK', epoch, ARGV[4], seq, run_id()}
