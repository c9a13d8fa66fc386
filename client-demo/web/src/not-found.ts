// The page for addresses that lead nowhere has looks only.

import './styles/base.css'
import './styles/landing.css'
