-- Gives back what a hold reserved, if it reserved anything; asked again it changes nothing.
--
-- KEYS  1 open   2 held
-- ARGV  1 hold id   2 milliseconds for which it is remembered that it was released

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n + 0) end

local kept = redis.call('HGET', KEYS[2], ARGV[1])
if kept == 'd' then return 0 end
if kept then
  for _, e in ipairs(cmsgpack.unpack(kept)) do
    if redis.call('EXISTS', e[1]) == 1 then
      redis.call('HINCRBY', e[1], e[2], whole(-e[3]))
      if e[2] ~= 'h' then redis.call('HINCRBY', e[1], 'h', whole(-e[3])) end
    end
  end
end
redis.call('HSET', KEYS[2], ARGV[1], 'd')
redis.call('ZADD', KEYS[1], whole(ms + ARGV[2]), ARGV[1])
return 1
