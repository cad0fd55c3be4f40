-- expect: (error object is a boolean value)
error(true)
