-- expect: attempt to call a nil value (global 'nothing')
nothing()
