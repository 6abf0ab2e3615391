-- Reserves more under a hold that is open, or nothing.
--
-- KEYS  1 open   2 held   3.. the account of each claim
-- ARGV  1 hold id   2 milliseconds that the hold lasts from now on   3 number of claims
--       then for each claim: kind (c calendar window, r rolling window), mode (e enforce, d dry run),
--       field, need, limit, a and b as in reserve.lua
-- Returns  as reserve.lua; a hold that was settled or has expired is left alone, and admitted.

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local now = ms / 1000
local function whole(n) return string.format('%.0f', n + 0) end

local kept = redis.call('HGET', KEYS[2], ARGV[1])
if not kept or kept == 'd' then return {1, ms} end
local n = tonumber(ARGV[3])
local out, refused = {0, ms}, false
for i = 1, n do
  local key, o, p = KEYS[2 + i], 3 + (i - 1) * 7, 2 + (i - 1) * 6
  local kind, mode, field = ARGV[o + 1], ARGV[o + 2], ARGV[o + 3]
  local need, limit = tonumber(ARGV[o + 4]), tonumber(ARGV[o + 5])
  local a, b = tonumber(ARGV[o + 6]), tonumber(ARGV[o + 7])
  local used, held, opens, room = 0, 0, 0, false
  if kind == 'c' then
    local v = redis.call('HMGET', key, 'u', 'h')
    used, held = tonumber(v[1] or 0), tonumber(v[2] or 0)
    opens = math.max(0, (b - now) * 1000)
    room = used + need <= limit or now >= b
  else
    local v, gone = redis.call('HGETALL', key), now - b - a
    for j = 1, #v, 2 do
      if v[j] == 'h' then
        held = tonumber(v[j + 1])
      elseif tonumber(v[j]) > gone then
        used = used + tonumber(v[j + 1])
      end
    end
    opens = b * 1000
    room = used + need <= limit or tonumber(field) <= gone
  end
  if not room and mode == 'e' then refused = true end
  out[p + 1], out[p + 2], out[p + 3] = used, held, 0
  out[p + 4], out[p + 5], out[p + 6] = math.ceil(opens), 0, room and 1 or 0
end
if refused then return out end

local entries = cmsgpack.unpack(kept)
for i = 1, n do
  local key, o = KEYS[2 + i], 3 + (i - 1) * 7
  local field, need = ARGV[o + 3], tonumber(ARGV[o + 4])
  if redis.call('EXISTS', key) == 1 then
    redis.call('HINCRBY', key, field, whole(need))
    redis.call('HINCRBY', key, 'h', whole(need))
    for _, entry in ipairs(entries) do
      if entry[1] == key then entry[3] = entry[3] + need end
    end
  end
end
redis.call('HSET', KEYS[2], ARGV[1], cmsgpack.pack(entries))
redis.call('ZADD', KEYS[1], 'XX', whole(ms + ARGV[2]), ARGV[1])
out[1] = 1
return out
