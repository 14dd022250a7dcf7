"""What tests of Interlock and of its adapters stand on: virtual time, contract suites, explorer."""
