"""What a certificate's rows look like drawn."""
