-- Replaces what a hold reserved by what was used; asked again it changes nothing.
--
-- KEYS  1 open   2 held   3.. accounts
-- ARGV  1 hold id   2 milliseconds for which it is remembered that it was settled
--       3 number of accounts   then for each: field, reserved, used, milliseconds that it lasts
-- A hold that is not known has expired, or was made while Redis could not be asked: what was used
-- counts all the same.

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n + 0) end

local kept = redis.call('HGET', KEYS[2], ARGV[1])
if kept == 'd' then return 0 end
for i = 1, tonumber(ARGV[3]) do
  local key, o = KEYS[2 + i], 3 + (i - 1) * 4
  local field, reserved, used = ARGV[o + 1], tonumber(ARGV[o + 2]), tonumber(ARGV[o + 3])
  if kept then
    if redis.call('EXISTS', key) == 1 then
      if field ~= 'h' then redis.call('HINCRBY', key, field, whole(used - reserved)) end
      redis.call('HINCRBY', key, 'h', whole(-reserved))
    end
  elseif field ~= 'h' and used > 0 then
    redis.call('HINCRBY', key, field, whole(used))
    if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[o + 4]) end
  end
end
redis.call('HSET', KEYS[2], ARGV[1], 'd')
redis.call('ZADD', KEYS[1], whole(ms + ARGV[2]), ARGV[1])
return 1
