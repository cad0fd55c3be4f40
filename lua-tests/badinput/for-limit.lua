-- expect: bad 'for' limit (number expected, got table)
for i = 1, {} do end
