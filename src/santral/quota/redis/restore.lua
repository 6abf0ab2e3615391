-- Tells counters that began anew what a worker still holds, or has used and the ledger not yet says.
--
-- KEYS  1 run   2 open   3 held   4.. accounts
-- ARGV  1 run   2 id   3 milliseconds   4 '1' while the request runs, '0' for what was used
--       5 number of accounts   then for each: field, amount, milliseconds that it lasts
-- The id is taken once, so that asking again changes nothing.

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n) end

redis.call('SET', KEYS[1], ARGV[1])
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then return 0 end
local entries = {}
for i = 1, tonumber(ARGV[5]) do
  local key, o = KEYS[3 + i], 5 + (i - 1) * 3
  local field, amount = ARGV[o + 1], tonumber(ARGV[o + 2])
  if field ~= 'h' or ARGV[4] == '1' then
    redis.call('HINCRBY', key, field, whole(amount))
    if field ~= 'h' and ARGV[4] == '1' then redis.call('HINCRBY', key, 'h', whole(amount)) end
    if field ~= 'h' and redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[o + 3]) end
    entries[#entries + 1] = {key, field, amount}
  end
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4] == '1' and cmsgpack.pack(entries) or 'd')
redis.call('ZADD', KEYS[2], whole(ms + ARGV[3]), ARGV[2])
return 1
