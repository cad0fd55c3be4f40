-- expect: attempt to compare number with nil
return 1 < nil
