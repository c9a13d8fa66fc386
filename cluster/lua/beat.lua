-- KEYS sessions, infos, generation. ARGV node, time to live in ms (0 leaves), info, a generation if there is none.
-- now, generation, run id, expiry and info of this node before, then node, expiry, info of each member
local at, ttl = now(), tonumber(ARGV[2])
redis.call('SET', KEYS[3], ARGV[4], 'NX')
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
local answer = {text(at), redis.call('GET', KEYS[3]), run_id(),
  before and text(tonumber(before)) or '0', redis.call('HGET', KEYS[2], ARGV[1]) or ''}
if ttl > 0 then
  redis.call('ZADD', KEYS[1], text(at + ttl), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(at - 3600000))) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
local members = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #members, 2 do
  answer[#answer + 1] = members[i]
  answer[#answer + 1] = text(tonumber(members[i + 1]))
  answer[#answer + 1] = redis.call('HGET', KEYS[2], members[i]) or ''
end
return answer
