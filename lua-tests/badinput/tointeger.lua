-- expect: number has no integer representation
return 1.5 | 1
