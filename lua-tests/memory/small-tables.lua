return function() local list while true do list = { list, x = 1 } end end
