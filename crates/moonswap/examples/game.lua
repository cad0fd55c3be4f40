-- Rules of the game server: what players do. Saved anew, it is swapped while they play.
players = players or {}

function join(name, body)
    players[name] = { body = body, gold = 10 }
    return "welcome " .. name
end

function leave(name)
    players[name] = nil
end

function command(name, verb, argument)
    local me = players[name]
    if verb == "go" then
        local dx, dy = argument:match("^(-?%d+) (-?%d+)$")
        if not dx then return "go where?" end
        me.body:go(tonumber(dx), tonumber(dy))
        return ("you are at %d, %d"):format(me.body.x, me.body.y)
    elseif verb == "pay" then
        local to, amount = argument:match("^(%S+) (%d+)$")
        local other = players[to]
        amount = tonumber(amount)
        if not other or amount > me.gold then return "no deal" end
        me.gold, other.gold = me.gold - amount, other.gold + amount
        return "you have " .. me.gold
    elseif verb == "who" then
        local names = {}
        for other, player in pairs(players) do
            names[#names + 1] = other .. " " .. player.gold
        end
        table.sort(names)
        return table.concat(names, ", ")
    end
    return "what?"
end
