-- KEYS record, log. ARGV node, epoch, last seq.
-- OK e n s, FENCED e n s, GAP e n s, KEPT e n s if the log still holds something
local o = redis.call('HMGET', KEYS[1], 'e', 'n', 's')
local no = refused(o, ARGV[1], ARGV[2], ARGV[3])
if no then return no end
if redis.call('XLEN', KEYS[2]) > 0 then return {'KEPT', o[1], o[2], o[3]} end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'n', '')
return {'OK', o[1], '', o[3]}
