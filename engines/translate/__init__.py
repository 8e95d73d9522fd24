"""Lines of one language to lines of another. Read `interface`, `rounds`, `prompt`; then a provider (`openai`)."""
