-- expect: nil
error()
