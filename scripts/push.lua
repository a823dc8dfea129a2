-- For wrk: pushes packets of many streams, each after the one before it.
--
--   wrk -t1 -c64 -d10 --latency -s scripts/push.lua URL -- "USER:PASSWORD" STREAMS
--
-- Streams are named load-0 … load-(STREAMS-1); every request is the next packet of the next
-- stream, so with many more streams than connections none arrives out of order.

local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ place) % 64
      out[#out + 1] = letters:sub(digit + 1, digit + 1)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

local streams, sent, start = 1000, 0, 0
local other = 0

function init(arguments)
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Basic " .. base64(arguments[1])
  wrk.headers["Content-Type"] = "application/json"
  streams = tonumber(arguments[2]) or streams
  start = os.time() - 20 * 86400
end

function request()
  local number = sent % streams
  local at = start + math.floor(sent / streams)
  sent = sent + 1
  local body = string.format(
    '{"id":"load-%d","tsISO8601":"%s.000+00:00","aP_1":%.1f,"aP_2":%.1f,"aP_3":%.1f,'
      .. '"v_1":%.1f,"v_2":%.1f,"v_3":%.1f,"pC_1":%.1f,"pC_2":%.1f}',
    number, os.date("!%Y-%m-%dT%H:%M:%S", at),
    math.random(100, 9999) / 10, math.random(100, 9999) / 10, math.random(100, 9999) / 10,
    230 + math.random(0, 99) / 10, 230 + math.random(0, 99) / 10, 230 + math.random(0, 99) / 10,
    sent / 10, sent / 10
  )
  return wrk.format(nil, nil, nil, body)
end

function response(status, _, body)
  if status ~= 200 or not body:find("accepted", 1, true) then
    other = other + 1
    if other < 4 then io.write(status, " ", body, "\n") end
  end
end
