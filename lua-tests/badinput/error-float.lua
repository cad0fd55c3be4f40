-- expect: 2.5
error(2.5, 0)
