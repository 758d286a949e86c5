complete -c gen-apu-data-pkg -f
complete -c gen-apu-data-pkg -x -l at-least -d 'Give the new package at least this version'
complete -c gen-apu-data-pkg -x -l push -a '(ls /etc/apu-server/clients 2>/dev/null)' -d 'Then bring it to these clients'
complete -c gen-apu-data-pkg -s y -l yes -d 'Do not ask first'
complete -c gen-apu-data-pkg -s q -l quiet -d 'Say only what is wrong'
complete -c gen-apu-data-pkg -s h -l help -d 'Show help'
complete -c gen-apu-data-pkg -s V -l version -d 'Show the version'
