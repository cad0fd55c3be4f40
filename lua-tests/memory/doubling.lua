return function() local s = "xy" while true do s = s .. s end end
