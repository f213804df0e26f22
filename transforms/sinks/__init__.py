"""What is written below the run's folder, as files that are whole or absent.

Every file's name follows from what it holds, so a retry writes the same file again.
"""
