-- expect: break outside a loop at line 2
break
