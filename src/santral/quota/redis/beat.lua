-- Says that a worker lives, and which run of Redis this is.
--
-- KEYS  1 run   2 workers alive   3 workers that have told this run what they hold
-- ARGV  1 an id for a run that begins   2 worker   3 milliseconds that the worker is believed
--       4 the run that it has told, or ''
-- Returns  {run, ms when it began, ms now, workers alive, workers that have told}

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local began = redis.call('HMGET', KEYS[1], 'id', 'at')
if not began[1] then
  began = {ARGV[1], string.format('%.0f', ms)}
  redis.call('HSET', KEYS[1], 'id', began[1], 'at', began[2])
end
redis.call('ZADD', KEYS[2], string.format('%.0f', ms + ARGV[3]), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms)
if ARGV[4] == began[1] then
  redis.call('ZADD', KEYS[3], string.format('%.0f', ms + ARGV[3]), ARGV[2])
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ms)
return {began[1], tonumber(began[2]), ms, redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])}
