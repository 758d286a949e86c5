complete -W '--at-least --quiet --help --version' gen-apu-data-pkg
