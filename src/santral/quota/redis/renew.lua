-- Lets holds last longer that are still open.
--
-- KEYS  1 open
-- ARGV  1 milliseconds   2.. hold ids

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', 'GT', string.format('%.0f', ms + ARGV[1]), ARGV[i])
end
return #ARGV - 1
