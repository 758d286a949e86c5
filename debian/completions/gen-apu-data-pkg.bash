complete -W '--at-least --push --yes --quiet --help --version' gen-apu-data-pkg
