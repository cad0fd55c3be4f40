-- expect: aaaaaaaa
error(("a"):rep(100000))
