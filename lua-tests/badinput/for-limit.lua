-- expect: 'for' limit must be a number
for i = 1, {} do end
