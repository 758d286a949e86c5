complete -c gen-apu-data-pkg -f
complete -c gen-apu-data-pkg -x -l at-least -d 'Give the new package at least this version'
complete -c gen-apu-data-pkg -s q -l quiet -d 'Say only what is wrong'
complete -c gen-apu-data-pkg -s h -l help -d 'Show help'
complete -c gen-apu-data-pkg -s V -l version -d 'Show the version'
