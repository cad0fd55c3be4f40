-- expect: no visible label 'nowhere' for <goto> at line 2
goto nowhere
