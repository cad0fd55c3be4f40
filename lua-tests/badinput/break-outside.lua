-- expect: break outside loop at line 2
break
