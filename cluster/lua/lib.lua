-- Stands in front of every script. Numbers leave as text: epochs are milliseconds, exact in doubles, but Lua would
-- print them with an exponent.
local function text(n) return string.format('%.0f', n) end

-- now is Redis' clock in milliseconds, the only clock of the cluster.
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- run_id changes whenever this Redis restarts or another takes its place, and it may have forgotten something. A user
-- who may not ask gets a word that package cluster knows.
local function run_id()
  local info = redis.pcall('INFO', 'server')
  if type(info) ~= 'string' then return 'unknown' end
  return string.match(info, 'run_id:(%x+)') or 'unknown'
end

-- refused compares the record with what an owner believes: nil, or the answer that tells it better.
local function refused(o, me, epoch, prev)
  local e, n, s = o[1] or '0', o[2] or '', o[3] or '0'
  if n == '' or n ~= me or e ~= epoch then return {'FENCED', e, n, s} end
  if s ~= prev then return {'GAP', e, n, s} end
  return nil
end
