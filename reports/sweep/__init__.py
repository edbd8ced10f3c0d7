"""What a sweep's cells say together: where compression stops paying, what distance costs, what `auto` lost."""
